import pytest

from seg.models.config import ModelConfig


@pytest.fixture
def tiny() -> ModelConfig:
    """Configuration of a network that is built and run in milliseconds."""
    return ModelConfig(
        encoder="tu-test_resnet", output_stride=8, pyramid_rates=(1, 2), pyramid_channels=8, decoder_channels=(8, 8, 8)
    )
