/** The token of an Authorization header (RFC 6750, 2.1). */
export const bearerOf = (authorization: string | undefined): string | undefined =>
  /^Bearer +([A-Za-z0-9_.~+/=-]+) *$/i.exec(authorization ?? "")?.[1];
