"""Modules that no library has, one file each: PyTorch is loaded with them, when one is made.

Those of texts read ``input_ids`` and ``attention_mask`` of shape ``(batch, length)``, ``int64``,
padded on the right, and no output depends on how much padding there is.
"""
