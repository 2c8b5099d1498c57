"""`nircolor serve`: the web page and its HTTP API.

`application.create_app` puts the parts together: `guard` (token, limits, headers), `api` (addresses), `store`
(uploaded images on disk), `work` (the queue), `previews` and `archive`.
"""

from nircolor.app.web.application import create_app
from nircolor.app.web.settings import Settings

__all__ = ["Settings", "create_app"]
