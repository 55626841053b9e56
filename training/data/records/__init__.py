"""Records about a data set; they import no reader, check or painter."""
