"""What `mos_study.store.Store` can do, by subject."""
