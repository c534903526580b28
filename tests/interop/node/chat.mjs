// A chat by socket.io, as ../chat.py has it.  Prints its port, and ends with its standard input.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { Server } from "socket.io";

const page = readFileSync(new URL("chat.html", import.meta.url));
const http = createServer((_, response) => response.setHeader("Content-Type", "text/html").end(page));
new Server(http).on("connection", (socket) => {
  socket.on("join", (room, ack) => (socket.join(room), ack(`joined ${room}`)));
  socket.on("say", (room, text, ack) => (socket.nsp.to(room).emit("said", text), ack("said")));
  socket.on("echo", (data, ack) => ack(data));
});
process.stdin.on("end", () => process.exit()).resume();
http.listen(0, "127.0.0.1", () => console.log(http.address().port));
