"""A study at work: workers, launchers, confirming, dry runs, the doctor."""
