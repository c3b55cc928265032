# The frame of every page.
node-product = Licences
root-product = Licensing servers
skip-to-content = Skip to the content
tabs = Pages
language = Language
colours = Colours
colours-auto = As the system
colours-light = Light
colours-dark = Dark
connection-lost = The connection to the service is lost. What you see may be out of date; it is renewed as soon as the service answers.
back-to-start = To the start page
pager = Pages of the list
pager-range = { $first } to { $last } of { $total }
pager-next = Next page
pager-first = First page
search = Search
table = Table, to be scrolled sideways
show = Show

# Signing in.
sign-in = Sign in
sign-in-local = A local administrator signs in with a link that is good once, for a short time. On the machine of the service, run:
sign-in-provider = Sign in with your organisation
sign-out = Sign out
signed-in = You are signed in.
role-viewer = viewer
role-administrator = administrator

# What is refused.
refused = This did not work
refused-sign-in-first = You are not signed in.
refused-sign-in-first-next = Sign in, then try again.
refused-link-unknown = This link does not sign you in: this service did not make it.
refused-link-unknown-next = Make a new one on the machine of the service, and open it within its time.
refused-link-used = This link was used before. It signs in once.
refused-link-used-next = If that was not you, look at the events; make a new link on the machine of the service.
refused-link-expired = This link has expired.
refused-link-expired-next = Make a new one on the machine of the service, and open it within its time.
refused-not-administrator = Whoever made this link is not a local administrator any more.
refused-not-administrator-next = Ask for the user id to be added to admin.uids, then restart the service.
refused-administrators-only = Only an administrator may do this.
refused-administrators-only-next = Ask an administrator, or sign in as one.
refused-form-forged = This form was not sent from a page of yours, or you have signed in anew since.
refused-form-forged-next = Go back, load the page anew, and send the form again.
refused-form-invalid = The form is not complete.
refused-form-invalid-next = Go back, fill in what is missing, and send it again.
refused-too-large = Too much was sent.
refused-too-large-next = An entitlement is a small file: choose the one that the vendor sent.
refused-not-found = There is no such page.
refused-not-found-next = It may have had another address, or what it showed is gone.
refused-service = The service could not do this.
refused-service-next = { $message }

# What is refused of somebody who comes from the identity provider.
refused-provider-unreachable = The sign-in service of your organisation does not answer.
refused-provider-unreachable-next = Try again in a while. On the machine of the service a local administrator can make a link; the log says what is wrong.
refused-provider-error = The sign-in service of your organisation reported an error.
refused-provider-error-next = Try again. If it stays so, show this to whoever runs this service: the log says what was reported.
refused-provider-answer = What the sign-in service of your organisation says cannot be relied on.
refused-provider-answer-next = Try again. If it stays so, show this to whoever runs this service: the log says what is wrong.
refused-provider-denied = The sign-in service of your organisation did not let you in, or you broke off.
refused-provider-denied-next = Sign in anew, or ask whoever manages your account.
refused-provider-state = This sign-in did not begin in this browser.
refused-provider-state-next = Sign in anew, and do not open the address of this page by hand.
refused-provider-used = This sign-in was completed before.
refused-provider-used-next = Sign in anew.
refused-provider-expired = The sign-in took too long.
refused-provider-expired-next = Sign in anew, within ten minutes.
refused-provider-code = The sign-in service of your organisation does not accept this sign-in any more.
refused-provider-code-next = Sign in anew.
refused-provider-role = Your organisation knows you, and you have no role here.
refused-provider-role-next = Ask whoever manages your account for the role of a viewer or an administrator of this service.
