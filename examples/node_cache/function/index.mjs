// A client of the Node.js secrets cache: GET /cache/<name> answers with the bare value.
// It answers with a digest, never with the value.

import { createHash } from "node:crypto";
import http from "node:http";

function cached(name) {
  return new Promise((resolve, reject) => {
    const path = `/cache/${encodeURIComponent(name)}`;
    const options = { hostname: "localhost", port: 8080, path, method: "GET" };
    const request = http.request(options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => (text += chunk));
      response.on("end", () => {
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`${name}: ${response.statusCode} ${text}`));
      });
    });
    request.on("error", reject);
    request.end();
  });
}

export async function handler(event) {
  const value = await cached(event.secret ?? "partner_key");
  return { digest: createHash("sha256").update(value).digest("hex").slice(0, 8) };
}
