// A client of the Go secret cache: GET /secrets?name= answers with the bare value.
// It answers with a digest, never with the value.

import { createHash } from "node:crypto";

async function secret(name) {
  const query = new URLSearchParams({ name });
  const response = await fetch(`http://localhost:4000/secrets?${query}`);
  const text = await response.text();
  if (!response.ok) throw new Error(`${name}: ${response.status} ${text}`);
  return text;
}

export async function handler(event) {
  const value = await secret(event.secret ?? process.env.SECRET_PAYMENTS);
  return { digest: createHash("sha256").update(value).digest("hex").slice(0, 8) };
}
