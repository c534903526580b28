// Node's http-proxy: node proxy.js PORT UPSTREAM
const http = require("http");
const httpProxy = require("http-proxy");

const [port, upstream] = process.argv.slice(2);
const proxy = httpProxy.createProxyServer({
  target: `http://127.0.0.1:${upstream}`,
  agent: new http.Agent({ keepAlive: true }),
});
// A client that has gone is no reason to end.
proxy.on("error", () => {});

const server = http.createServer((request, response) => proxy.web(request, response));
server.on("upgrade", (request, socket, head) => proxy.ws(request, socket, head));
server.listen(port, "127.0.0.1");
