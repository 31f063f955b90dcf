/** The command line was wrong; exit code 2, as is usual. */
export class UsageError extends Error {}
