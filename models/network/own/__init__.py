"""Encoders that neither timm nor smp has, each from its paper.

dual.py         those of DDRNet and PIDNet
bisenetv2.py    BiSeNetV2's semantic branch
stdc.py         STDC1 and STDC2
mscan.py        SegNeXt's
resenc.py       nnU-Net's residual encoder

Each returns [f0, …, f5] with f_k of stride 2^k, sizes rounded up, and has `out_channels`. Their
names stand in `models.network.encoders`.
"""
