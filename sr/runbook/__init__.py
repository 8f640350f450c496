"""A whole training in one command and one time budget (`stages.run_book`)."""
