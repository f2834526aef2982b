"""How good a model is: figures, tables, plots, pages."""
