"""Images in, label maps out: decoding, preprocessing, the predictor, drawing."""
