/** Imported before everything else (`node --import`): the process starts at the time that STARTS_AT says, milliseconds since the epoch. */
const { now } = Date;
const ahead = Number(process.env["STARTS_AT"]) - now();
Date.now = () => now() + ahead;
