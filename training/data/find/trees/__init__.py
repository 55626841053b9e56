"""Images and masks in folders, by the words of their names and by equal stems."""
