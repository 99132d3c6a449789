"""Networks of other programs, as ONNX: read safely, rewritten to the interface of this project, and measured."""
