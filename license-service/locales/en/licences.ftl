# Tabs.
tab-status = Status
tab-update = Update

# A vendor's tab.
vendor = Vendor
owner = Owner
serial-number = Serial number
expires = Expires
grace-ends = End of grace
maintenance-ends = Maintenance until
next-check = Next check
version = Version
signed-on = signed on { $date }
licences = Licences
licence = Licence
search-licences = Name or title
no-licences = This vendor has stated no licences.
nothing-found = Nothing has this in its name.
details = Details of the licence
name = Name
kind = Kind
kind-site = site
kind-satellite = satellite
kind-user = user
kind-site-note = All users of the site share one seat.
kind-satellite-note = All users of a satellite database share one seat.
kind-user-note = A seat for each user.
in-use = In use
available = Available
total = Total
use = Use
in-use-of = { $in_use } of { $total } in use
features = Features
lease = Lease
borrowing = Borrowing
borrowing-bounds = { $borrowed } of { $seats } borrowed, each for { $longest } at most
holders = Who holds the seats
no-holders = Nobody holds a seat.
user = User
users = Users
device = Device
held-until = Until
assigned = assigned
borrowed = borrowed
leased = leased
span-seconds = { $count ->
    [one] { $shown } second
   *[other] { $shown } seconds
}
span-minutes = { $count ->
    [one] { $shown } minute
   *[other] { $shown } minutes
}
span-hours = { $count ->
    [one] { $shown } hour
   *[other] { $shown } hours
}
span-days = { $count ->
    [one] { $shown } day
   *[other] { $shown } days
}

# Status: database and certificate.
database = Database
database-kind = Type
database-central = central database
database-satellite = satellite database
next-expiry = Next expiry
signed-in-user = Signed in
time-zone = Time zone
certificate = Licensor certificate
no-certificate = This server has no certificate yet.
issues-licences = issues licences
issues-nothing = issues nothing
issued-by = Issued by
serial = Serial
valid-until = Valid until
planned-renewal = Planned renewal
by-hand = by hand
last-renewal = Last renewal
never = never
renewal-problem = Latest attempt
failed = failed
renew-now = Renew now
validity = Valid from { $start } to { $end }; { $left } left
mark-month = A month left
mark-week = A week left
mark-renewal = Renewal

# Status: metered services.
metered-services = Metered services
nothing-metered = Nothing is metered.
service = Service
used = Used
included = Included
surplus = Surplus
amount = Amount
open-usage = Twelve months and statements
back-to-status = Back to the status
back-to-usage = Back to the metered services
used-of = { $used } of { $included } included
used-of-surplus = { $used } used, { $included } included: { $surplus } surplus
nothing-used = nothing used
allowance-rule = A month includes { $total }: { $base }, and { $per_user } for each of { $users } users.
allowance-note = What is included is the base and an amount for each user, by the highest number of users at any one time of the month.
twelve-months = { $service } in the last twelve months
statements = Statements
no-statements = There are no statements yet.
statement-of = Statement of { $month }
statement-draft = draft
statement-final = final
month = Month
state = State
period = Period
from-to = { $start } to { $end }
digest = Digest
adjustments = Reported late
reported-late = Reported late
more-than = more than { $amount }

# Status: events.
system-events = System events
event = Event
status = Status
message = Message
activated = Activated
activated-by = Activated by
completed = Completed
type = Type
severity = Severity
description = Description
ended-by = Ended by
event-number = Number
event-active = active
event-ended = ended
expected = expected
by-service = the service
no-events = Nothing has happened.
no-active-events = No event is active.
events-all = all
events-active = active ones
events-older = Older
severity-any = any
severity-info = information
severity-warning = warning
severity-error = error
severity-warning-up = warnings and errors
severity-error-only = errors
scope-system = whole system
scope-database = database
scope-group = group
scope-user = user
add-event = Add an event
end-event = End this event
target = Which database, group or user
expected-end = Expected end ({ $zone })
notice-until = Expected until { $end }.

# Update.
up-to-date = What is in force is the newest that is known here.
ask-root = Ask the root
ask-root-note = A newer entitlement is fetched, and what it changes is shown here.
by-itself = It comes into force when you activate it; unless something stands in its way, also by itself, the next time that this server asks (entitlements.automatic).
by-your-word = Nothing comes into force before you say so.
check-now = Check now
load-file = Load a file
load-file-note = For a server without a connection to the root: choose the file that the vendor sent, or drop it here.
file = File with an entitlement
load = Load
nothing-newer = There is nothing newer.
nothing-newer-next = What is in force stays.
changed-meanwhile = A newer version arrived meanwhile.
changed-meanwhile-next = Look at its changes below, then activate it.
new-version = { $vendor }: version { $version }
first-version = The first one of this vendor.
instead-of = In place of version { $version }
changes = What changes
what-changes = What changes
now = Now
then = Then
activate = Activate
activate-and-remove = Remove them and activate
remove-superfluous = Take the seats marked below away from those who hold them
update-blocked = This version cannot come into force: more is in use than it has.
update-blocked-next = Take assignments away below, wait until leases end, or have the surplus removed as you activate it.
too-many = { $in_use } are in use, and there would be { $total }: { $remove } must go.
unassign = Take away
field-of-modules = Licence
field-of-services = Service
field-version = Version
field-vendor = Vendor
field-company = Company
field-serial-number = Serial number
field-time-zone = Time zone
field-dates-expires = Expires
field-dates-grace-ends = End of grace
field-dates-maintenance-ends = Maintenance until
field-dates-next-check = Next check
field-dates-first-warning = First warning
field-name = Name
field-title = Title
field-description = Description
field-kind = Kind
field-quantity = Number
field-expires = Expires
field-features = Features
field-lease = Lease (seconds)
field-borrow-longest = Longest borrowing (seconds)
field-borrow-seats = Seats that may be borrowed
field-unit = Unit
field-aggregation = Aggregation
field-allowance-base = Included
field-allowance-per-user = Included for each user
field-price-minor-units = Price (minor units)
field-price-currency = Currency
field-price-per = Price for so many units

# What everybody must see.
disabled-NOT_ENROLLED = Nothing is issued: this server is not enrolled.
disabled-NOT_ENROLLED-next = Make a token at the root (root-service token create) and run license-service enroll.
disabled-LICENSOR_CERTIFICATE_EXPIRED = Nothing is issued: the licensor certificate expired on { $not_after }.
disabled-LICENSOR_CERTIFICATE_EXPIRED-next = Renew it on the Status page, or with license-service renew. It works again at once.
disabled-LICENSOR_CERTIFICATE_NOT_YET_VALID = Nothing is issued: the licensor certificate is valid from { $not_before } on.
disabled-LICENSOR_CERTIFICATE_NOT_YET_VALID-next = Set the clock of this machine.
disabled-CERTIFICATE_REVOKED = Nothing is issued: the licensor certificate was revoked on { $revoked_at }.
disabled-CERTIFICATE_REVOKED-next = Ask the administrator of the root why; with a new token, run license-service enroll.
certificate-month = The licensor certificate expires on { $not_after }, in a month or less.
certificate-month-next = The service works normally. Renewal runs by itself; if it fails, the Status page says why.
certificate-week = The licensor certificate expires on { $not_after }, in a week or less.
certificate-week-next = The service works normally. Renew now on the Status page, or see there why renewal fails.
clock-behind = The clock of this machine says { $now }, and { $seen } has been seen: no seats are given.
clock-behind-next = Set the clock; if it was wrong before, run license-service clock accept.
entitlement-soon = The entitlement of { $vendor } expires on { $expires }.
entitlement-soon-next = Ask the vendor for a new one.
entitlement-grace = The entitlement of { $vendor } expired on { $expires }; new licences are issued until { $grace_ends }.
entitlement-grace-next = Ask the vendor for a new one, and load it on the Update page.
entitlement-over = The entitlement of { $vendor } expired on { $expires }: licences can be extended and released, and nothing new is issued.
entitlement-over-next = Ask the vendor for a new one, and load it on the Update page.

# Refusals of the service that this screen can meet.
reason-SEATS_IN_USE = The new entitlement of { $vendor } cannot come into force: more is in use than it has ({ $modules }).
reason-SEATS_IN_USE-next = Take assignments away, wait until leases end, or have the surplus removed.
reason-ENTITLEMENT_INVALID = This is no entitlement, or it is not whole.
reason-ENTITLEMENT_INVALID-next = Choose the file that the vendor sent, as it was sent.
reason-ENTITLEMENT_SIGNER_UNTRUSTED = Whoever signed this entitlement is not trusted here.
reason-ENTITLEMENT_SIGNER_UNTRUSTED-next = Ask the vendor for its trust anchor, and name it in entitlements.trust_anchors.
reason-ENTITLEMENT_OF_ANOTHER_OWNER = This entitlement is for another owner.
reason-ENTITLEMENT_OF_ANOTHER_OWNER-next = Ask the vendor for the one of the owner that this server belongs to.
reason-ENTITLEMENT_OUTDATED = A newer version of this entitlement is known here.
reason-ENTITLEMENT_OUTDATED-next = Ask the vendor for the newest one.
reason-ENTITLEMENT_UNKNOWN = There is no newer entitlement.
reason-ENTITLEMENT_UNKNOWN-next = Ask the root, or load a file.
reason-VENDOR_TAKEN = Another root has signed entitlements of a vendor of this name.
reason-VENDOR_TAKEN-next = Ask the vendor which root signs for it.
reason-ROOT_UNREACHABLE = The root cannot be reached.
reason-ROOT_UNREACHABLE-next = Look whether it runs, and whether the network lets this server through; what is in force stays.
reason-EVENT_ALREADY_ACTIVE = There is such an event already, with number { $sequence }.
reason-EVENT_ALREADY_ACTIVE-next = End it first.
reason-EVENT_ALREADY_ENDED = This event has ended already.
reason-EVENT_ALREADY_ENDED-next = Load the page anew.
reason-EVENT_UNKNOWN = There is no such event.
reason-EVENT_UNKNOWN-next = Load the page anew.
reason-ASSIGNMENT_UNKNOWN = This licence is not assigned to this user any more.
reason-ASSIGNMENT_UNKNOWN-next = Load the page anew.
reason-STATEMENT_UNKNOWN = There is no statement for this month.
reason-STATEMENT_UNKNOWN-next = Choose one of the list.
reason-DISK_FULL = The disk of this service is almost full: nothing is kept.
reason-DISK_FULL-next = Make room in its data directory; its log says how much.
reason-STORE_UNAVAILABLE = This service cannot keep records at the moment.
reason-STORE_UNAVAILABLE-next = See its log, then try again.
