"""Verifies a webhook with the published library. Reads {secret, headers, body} from stdin."""

import json
import sys

from standardwebhooks import Webhook

request = json.load(sys.stdin)
Webhook(request["secret"]).verify(request["body"], request["headers"])
