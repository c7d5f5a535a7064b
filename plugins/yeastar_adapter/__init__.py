"""Kong plugin `yeastar-adapter`: a Yeastar P-Series PBX sends SMS through FutureSMS."""

__version__ = "0.2.0"
