// Verifies a webhook with the published library. Reads {secret, headers, body} from stdin.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const { Webhook } = createRequire(process.cwd() + "/")("standardwebhooks");
const request = JSON.parse(readFileSync(0, "utf8"));
new Webhook(request.secret).verify(request.body, request.headers);
