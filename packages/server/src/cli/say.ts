/** How these commands are called here: in the repository the sources run through npm, elsewhere the published program. */
export const COMMAND: string = import.meta.filename.endsWith(".ts") ? "npm run inferq --" : "npx inferq";

// Whoever read it may be gone; the server goes on.
process.stderr.on("error", () => {});

/** A line for people, on stderr: stdout carries what programs read, the log and keys. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
