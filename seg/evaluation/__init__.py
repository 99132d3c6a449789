"""Compare maps with references: accuracy, report, picture. Windowed, numpy only, so that it starts without torch."""
