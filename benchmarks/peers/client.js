// Reads a secret as often as each line of its input says, one read after the other over
// one kept connection, and prints the microseconds that each took:
//
//     node client.js PORT PATH TOKEN

"use strict";

const http = require("http");
const readline = require("readline");

const [port, path, token] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const options = {
  host: "127.0.0.1",
  port: Number(port),
  path,
  agent,
  headers: { "X-Aws-Parameters-Secrets-Token": token },
};

function read() {
  return new Promise((resolve, reject) => {
    const began = process.hrtime.bigint();
    http
      .get(options, (answer) => {
        answer.on("data", () => {});
        answer.on("end", () => {
          const took = Number(process.hrtime.bigint() - began) / 1000;
          answer.statusCode === 200 ? resolve(took) : reject(answer.statusCode);
        });
      })
      .on("error", reject);
  });
}

async function main() {
  for await (const times of readline.createInterface({ input: process.stdin })) {
    const samples = [];
    for (let left = Number(times); left > 0; left -= 1) {
      samples.push(await read());
    }
    console.log(JSON.stringify(samples));
  }
  agent.destroy();
}

main();
