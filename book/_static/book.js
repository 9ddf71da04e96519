// Results of a search show an excerpt, for which each page is fetched: browsers forbid that to a
// book that was opened as a file. Its results are titles.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
