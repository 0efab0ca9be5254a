"""Campaigns: definition files, launch and its lifecycle, preview, check, report."""
