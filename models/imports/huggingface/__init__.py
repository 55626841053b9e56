"""Networks of Hugging Face's transformers: SegFormer, and UPerNet on ConvNeXt or Swin."""
