"""From a walk to a specialised model: the rows of the comparison, the stages, the report."""
