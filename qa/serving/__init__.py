"""The process that answers: routes of `qa.api` and `qa.chat` as one application (`app`), run by `server`."""
