"""Names the package's logger as the framework's plug-ins do."""

import logging

logger = logging.getLogger("livekit.plugins.mytalk")
