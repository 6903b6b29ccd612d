"""What pytest must know before it collects any test."""

pytest_plugins = ["pytester"]
