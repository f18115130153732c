"""The static site: an index of all accounts, and a page for each account and each tag. It opens from disk, too."""
