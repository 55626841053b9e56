"""What is known about a data set: plain records that import no reader, check or painter."""
