"""Traces, metrics, profiles and benchmarks that are measured, never made up."""
