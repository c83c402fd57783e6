"""The sample shop's website, with the widget on it."""
