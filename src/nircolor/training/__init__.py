"""Datasets, Lightning modules, the training command, export."""
