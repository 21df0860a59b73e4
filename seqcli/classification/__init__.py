"""Classifies text: a recurrent network beside the linear models that could shame it."""
