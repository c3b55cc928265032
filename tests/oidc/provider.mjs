// An identity provider to test signing in with: OpenID Connect over TLS on a free port of 127.0.0.1. Whoever logs in with
// any password has the roles that PROVIDER_ROLES (JSON) gives to that name.
//
//   PROVIDER_CERTIFICATE, PROVIDER_KEY   files (PEM)
//   PROVIDER_CLIENT                      JSON: client_id, client_secret, redirect_uris
//   PROVIDER_ROLES                       JSON: {"name": {claims}}
//   PROVIDER_PORT                        optional: a port to come back to
//   PROVIDER_CLAIMS_IN                   `userinfo` (default) or `id_token`
//   PROVIDER_FORGES                      optional: if set, tokens are signed with another key than the one that it shows
//
// It prints its port when it is ready. Its keys are new each time.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import Provider from 'oidc-provider';

const { env } = process;
const people = JSON.parse(env.PROVIDER_ROLES);
const server = createServer({
  cert: readFileSync(env.PROVIDER_CERTIFICATE),
  key: readFileSync(env.PROVIDER_KEY),
});
server.listen(Number(env.PROVIDER_PORT ?? 0), '127.0.0.1', () => {
  const { port } = server.address();
  const kid = randomUUID();
  const key = (form) => {
    const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
    return { ...pair[form].export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' };
  };
  const provider = new Provider(`https://127.0.0.1:${port}`, {
    clients: [JSON.parse(env.PROVIDER_CLIENT)],
    claims: {
      openid: ['sub'],
      email: ['email', 'email_verified'],
      profile: ['preferred_username', 'roles', 'realm_access'],
    },
    conformIdTokenClaims: env.PROVIDER_CLAIMS_IN !== 'id_token',
    cookies: { keys: [randomUUID()] },
    features: { devInteractions: { enabled: true } },
    findAccount: (_, name) => ({ accountId: name, claims: () => ({ sub: name, ...people[name] }) }),
    jwks: { keys: [key('privateKey')] },
    pkce: { required: () => true },
  });
  const answer = provider.callback();
  server.on('request', (request, response) => {
    if (!env.PROVIDER_FORGES || request.url !== '/jwks') return answer(request, response);
    response.setHeader('content-type', 'application/json');
    return response.end(JSON.stringify({ keys: [key('publicKey')] }));
  });
  console.log(port);
});
