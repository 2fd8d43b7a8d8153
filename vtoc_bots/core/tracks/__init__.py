"""The fused air picture: merging reports of many sources into tracks."""
