"""The champion of the key-result forecast (promote, roll back), and which version of a model serves."""
