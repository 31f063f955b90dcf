/** docs/guide/production.md behind Caddy. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PAGE, behindAProxy } from "./behind-a-proxy.ts";
import { blockWith } from "./pages.ts";

behindAProxy("caddy", (place) => {
  const site = blockWith(PAGE, "reverse_proxy", "caddyfile")
    .replace("127.0.0.1:8787", place.server)
    .replace(
      "api.example.com {",
      `api.example.com {\n\ttls ${place.certificate} ${place.certificateKey}\n\tbind 127.0.0.1`,
    );
  const path = join(place.directory, "Caddyfile");
  const ports = `http_port ${place.httpPort}\n\thttps_port ${place.httpsPort}`;
  writeFileSync(path, `{\n\tadmin off\n\tgrace_period 1s\n\t${ports}\n}\n\n${site}`);
  return ["run", "--config", path, "--adapter", "caddyfile"];
});
