// Reads as the examples of a community extension do: http.request to localhost, without
// a token, the body printed as it comes.
import http from "node:http";

const [port, path] = process.argv.slice(2);
const options = { hostname: "localhost", port, path, method: "GET" };
const request = http.request(options, (response) => {
  response.on("data", (data) => console.log("Response from cache: " + data));
});
request.end();
