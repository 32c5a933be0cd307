// Reads as the middlewares of a well-known framework do: parameters and secrets are
// asked for when the module is loaded, all at once, with raw slashes and colons, the
// parameter's path with a slash at its end and the option first. Anything but a 2xx
// status is an error. Prints what it has read.
const port = process.env.PARAMETERS_SECRETS_EXTENSION_HTTP_PORT ?? 2773;
const base = `http://localhost:${port}`;
const headers = { "X-Aws-Parameters-Secrets-Token": process.env.AWS_SESSION_TOKEN };
const encoded = (name) =>
  encodeURIComponent(name).replaceAll("%2F", "/").replaceAll("%3A", ":");

const read = async (url, member) => {
  const response = await fetch(url, { headers });
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return member(await response.json());
};
const parameter = (name) =>
  read(
    `${base}/systemsmanager/parameters/get/?withDecryption=true&name=${encoded(name)}`,
    (body) => body.Parameter?.Value,
  );
const secret = (id) =>
  read(`${base}/secretsmanager/get?secretId=${encoded(id)}`, (body) => body.SecretString);

const [parameters, secrets] = JSON.parse(process.argv[2]);
const values = Promise.allSettled([
  ...parameters.map(parameter),
  ...secrets.map(secret),
]);
for (const { value, reason } of await values) console.log(value ?? reason.message);
