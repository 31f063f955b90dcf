/** docs/guide/production.md behind nginx. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PAGE, behindAProxy } from "./behind-a-proxy.ts";
import { blockWith } from "./pages.ts";

const page = blockWith(PAGE, "proxy_pass", "nginx");

behindAProxy("nginx", (place) => {
  const site = page
    .replace("127.0.0.1:8787", place.server)
    .replace("listen 80;", `listen 127.0.0.1:${place.httpPort};`)
    .replace("listen 443 ", `listen 127.0.0.1:${place.httpsPort} `)
    .replace("/etc/letsencrypt/live/api.example.com/fullchain.pem", place.certificate)
    .replace("/etc/letsencrypt/live/api.example.com/privkey.pem", place.certificateKey);
  const kept = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((what) => `${what}_temp_path ${join(place.directory, what)};`)
    .join("\n");
  const config = `
    daemon off;
    pid ${join(place.directory, "nginx.pid")};
    error_log stderr;
    worker_processes 1;
    events { worker_connections 256; }
    http { access_log off; ${kept}\n${site} }`;
  const path = join(place.directory, "nginx.conf");
  writeFileSync(path, config);
  return ["-e", "stderr", "-p", place.directory, "-c", path];
});

test("nginx waits longer than the longest answer of inferq's takes", () => {
  const [, seconds] = /proxy_read_timeout (\d+)s;/.exec(page)!;
  expect(Number(seconds)).toBeGreaterThan(120); // syncTimeoutSeconds
});
