import { getSystemErrorMap } from "node:util";
import type { Operation } from "../disk.ts";

const BY_CODE = new Map([...getSystemErrorMap()].map(([errno, [code, sentence]]) => [code, { errno, sentence }]));

/** The error with that code (`ENOSPC`) that Node throws where `operation` fails. */
export function fault(
  code: string,
  { name, path, to }: Pick<Operation, "name" | "path" | "to">,
): NodeJS.ErrnoException {
  const { errno, sentence } = BY_CODE.get(code)!;
  const error: NodeJS.ErrnoException & { dest?: string } = new Error(
    `${code}: ${sentence}, ${name} '${path}'${to === undefined ? "" : ` -> '${to}'`}`,
  );
  Object.assign(error, { errno, code, syscall: name, path });
  if (to !== undefined) error.dest = to;
  return error;
}
