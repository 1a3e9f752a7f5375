"""Where events come from: files of OKRs, a simulated organisation, the host's own metrics."""
