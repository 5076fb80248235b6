// The official client against URL: `client.mjs URL TOKEN calls` makes the calls that
// stand on standard input as JSON, `client.mjs URL TOKEN load` makes one of them after
// the other until standard input ends. Prints what came of it as JSON.
import { readFileSync } from "node:fs";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, token, mode, given] = process.argv.slice(2);
const headers = token ? { Authorization: `Bearer ${token}` } : {};

async function connected() {
  const client = new Client({ name: "typescript", version: "1" });
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers },
  });
  await client.connect(transport);
  return { client, transport };
}

async function every(calls) {
  const { client, transport } = await connected();
  const { tools } = await client.listTools();
  const results = {};
  let progress = 0;
  for (const [name, args] of calls) {
    const onprogress = () => { progress += 1; };
    const result = await client.callTool({ name, arguments: args }, undefined, { onprogress });
    results[name] = result.isError ? { error: result.content[0].text } : result.structuredContent;
  }
  let refused = "";
  try {
    await client.callTool({ name: "estimate_hand", arguments: { held: "AS" } });
  } catch (error) {
    refused = String(error);
  }
  const version = transport.protocolVersion;
  await client.close();
  return { version, tools: tools.map((tool) => tool.name), results, progress, refused };
}

async function load(calls) {
  const { client } = await connected();
  const failures = [];
  let made = 0;
  let open = true;
  process.stdin.resume();
  process.stdin.on("end", () => { open = false; });
  process.stdout.write("connected\n");
  for (; open; made += 1) {
    const [name, args] = calls[made % calls.length];
    const start = Date.now() / 1000;
    try {
      const result = await client.callTool({ name, arguments: args }, undefined, {
        timeout: 20_000,
      });
      if (result.isError) throw new Error(result.content[0].text);
    } catch (error) {
      failures.push({ start, end: Date.now() / 1000, call: name, why: String(error) });
    }
  }
  await client.close();
  return { made, failures };
}

const outcome =
  mode === "load" ? await load(JSON.parse(given)) : await every(JSON.parse(readFileSync(0, "utf8")));
process.stdout.write(JSON.stringify(outcome) + "\n", () => process.exit(0));
