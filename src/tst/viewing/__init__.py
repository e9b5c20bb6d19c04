"""Looking at a Space in Rerun (docs/view.md); `rerun-sdk` is optional."""
