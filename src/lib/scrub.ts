// An email may hold quotes, braces and slashes: rather too much is taken out than too little.
/** Takes emails and credentials of connection strings out of a text that goes to a log: drivers quote what they were given. */
export const scrub = (text: string): string =>
  text.replace(/\/\/[^\s/@]+@/g, "//***@").replace(/[^\s"<>(),:]*@[^\s"<>(),:]*/g, "***@***");
