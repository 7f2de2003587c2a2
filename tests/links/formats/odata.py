"""OData JSON Format as data: the examples of version 4.01's specification, and its rules.

Rule: a document of the specification stands here as it is there, with its dots filled in or left
out. What differs in version 4.0 is said.
"""

from __future__ import annotations

from typing import Any, Final

from sleepwalker.links import Field
from tests.links.formats.specification import Example, link

SERVICE: Final = "http://host/service"
METADATA: Final = f"{SERVICE}/$metadata"
ALFKI: Final = f"{SERVICE}/Customers('ALFKI')"
AT: Final = "https://front.example/odata/now"
"""Where documents were found: elsewhere, so that the context URL counts."""
POST: Final = {"method": "POST", "sends": "application/json"}
ADDRESS: Final[dict[str, Any]] = {
    "Street": "Obere Str. 57",
    "City": "Berlin",
    "Region": None,
    "PostalCode": "D-12209",
}

EXAMPLES: Final = (
    Example(
        section="4.3, Relative URLs",
        url=AT,
        data={
            "@context": f"{METADATA}#Customers/$entity",
            "@editLink": "Customers('ALFKI')",
            "Orders@navigationLink": "Customers('ALFKI')/Orders",
        },
        links=(
            link("self", ALFKI),
            link("edit", ALFKI, also=("@editLink",)),
            link("Orders", f"{ALFKI}/Orders", also=("Orders@navigationLink",)),
        ),
    ),
    Example(
        section="4.5.1, context",
        url=AT,
        data={
            "@context": f"{METADATA}#Customers/$entity",
            "@metadataEtag": 'W/"A1FF3E230954908F"',
        },
        links=(),
    ),
    Example(
        section="4.5.12, media*",
        url=AT,
        data={
            "@context": f"{METADATA}#Employees/$entity",
            "@mediaReadLink": "Employees(1)/$value",
            "@mediaContentType": "image/jpeg",
            "ID": 1,
        },
        links=(
            link(
                "media",
                f"{SERVICE}/Employees(1)/$value",
                also=("@mediaReadLink",),
                type="image/jpeg",
            ),
        ),
    ),
    Example(
        section="5, Service Document",
        url=AT,
        data={
            "@context": METADATA,
            "value": [
                {"name": "Orders", "kind": "EntitySet", "url": "Orders"},
                {"name": "OrderItems", "title": "Order Details", "url": "OrderItems"},
                {
                    "name": "TopProducts",
                    "title": "Best-Selling Products",
                    "kind": "FunctionImport",
                    "url": "TopProducts",
                },
                {
                    "name": "MainSupplier",
                    "title": "Main Supplier",
                    "kind": "Singleton",
                    "url": "MainSupplier",
                },
                {"name": "Human Resources", "kind": "ServiceDocument", "url": "http://host/HR/"},
            ],
        },
        links=(
            link("Orders", f"{SERVICE}/Orders", attributes={"kind": "EntitySet"}),
            link("OrderItems", f"{SERVICE}/OrderItems", title="Order Details"),
            link(
                "TopProducts",
                f"{SERVICE}/TopProducts",
                title="Best-Selling Products",
                attributes={"kind": "FunctionImport"},
            ),
            link(
                "MainSupplier",
                f"{SERVICE}/MainSupplier",
                title="Main Supplier",
                attributes={"kind": "Singleton"},
            ),
            link("Human Resources", "http://host/HR/", attributes={"kind": "ServiceDocument"}),
        ),
        items=[
            {"name": "Orders", "kind": "EntitySet", "url": "Orders"},
            {"name": "OrderItems", "title": "Order Details", "url": "OrderItems"},
            {
                "name": "TopProducts",
                "title": "Best-Selling Products",
                "kind": "FunctionImport",
                "url": "TopProducts",
            },
            {
                "name": "MainSupplier",
                "title": "Main Supplier",
                "kind": "Singleton",
                "url": "MainSupplier",
            },
            {"name": "Human Resources", "kind": "ServiceDocument", "url": "http://host/HR/"},
        ],
    ),
    Example(
        section="6, Entity with metadata=minimal",
        url=AT,
        data={
            "@context": f"{METADATA}#Customers/$entity",
            "ID": "ALFKI",
            "CompanyName": "Alfreds Futterkiste",
            "Address": ADDRESS,
        },
        links=(),
    ),
    Example(
        section="6, Entity with metadata=full",
        url=AT,
        data={
            "@context": f"{METADATA}#Customers/$entity",
            "@id": "Customers('ALFKI')",
            "@etag": 'W/"MjAxMy0wNS0yN1QxMTo1OFo="',
            "@editLink": "Customers('ALFKI')",
            "ID": "ALFKI",
            "CompanyName": "Alfreds Futterkiste",
            "Address": {
                **ADDRESS,
                "Country@associationLink": "Customers('ALFKI')/Address/Country/$ref",
                "Country@navigationLink": "Customers('ALFKI')/Address/Country",
            },
            "Orders@associationLink": "Customers('ALFKI')/Orders/$ref",
            "Orders@navigationLink": "Customers('ALFKI')/Orders",
        },
        links=(
            link("self", ALFKI),
            link("edit", ALFKI, also=("@editLink",)),
            link("Orders", f"{ALFKI}/Orders", also=("Orders@navigationLink",)),
            link("Orders/$ref", f"{ALFKI}/Orders/$ref", also=("Orders@associationLink",)),
            link(
                "Address/Country",
                f"{ALFKI}/Address/Country",
                also=("Address/Country@navigationLink",),
            ),
            link(
                "Address/Country/$ref",
                f"{ALFKI}/Address/Country/$ref",
                also=("Address/Country@associationLink",),
            ),
        ),
        etag='W/"MjAxMy0wNS0yN1QxMTo1OFo="',
    ),
    Example(
        section="7.3, Collection of Primitive Values with a next link",
        url=AT,
        data={
            "@context": f"{METADATA}#Customers/$entity",
            "EmailAddresses": ["Julie@Swansworth.com", "Julie.Swansworth@work.com"],
            "EmailAddresses@nextLink": "Customers('ALFKI')/EmailAddresses?$skip=2",
        },
        links=(
            link(
                "EmailAddresses/next",
                f"{ALFKI}/EmailAddresses?$skip=2",
                also=("EmailAddresses@nextLink",),
            ),
        ),
    ),
    Example(
        section="7.4, Collection of Complex Values with a next link",
        url=AT,
        data={
            "@context": f"{METADATA}#Customers/$entity",
            "PhoneNumbers": [
                {"Number": "425-555-1212", "Type": "Home"},
                {
                    "@type": "#Model.CellPhoneNumber",
                    "Number": "425-555-0178",
                    "Type": "Cell",
                    "Carrier": "Sprint",
                },
            ],
            "PhoneNumbers@nextLink": "Customers('ALFKI')/PhoneNumbers?$skip=2",
        },
        links=(
            link(
                "PhoneNumbers/next",
                f"{ALFKI}/PhoneNumbers?$skip=2",
                also=("PhoneNumbers@nextLink",),
            ),
        ),
    ),
    Example(
        section="8.2, Association Link",
        url=AT,
        data={
            "@context": f"{METADATA}#Customers/$entity",
            "Orders@associationLink": "Customers('ALFKI')/Orders/$ref",
        },
        links=(link("Orders/$ref", f"{ALFKI}/Orders/$ref", also=("Orders@associationLink",)),),
    ),
    Example(
        section="8.3, Expanded Navigation Property",
        url=AT,
        data={
            "@context": f"{METADATA}#Customers(Orders())/$entity",
            "Orders@count": 42,
            "Orders": [{"ID": 10643}, {"ID": 10759}],
            "Orders@nextLink": "Customers('ALFKI')/Orders?$skiptoken=2",
        },
        links=(
            link(
                "Orders/next",
                f"{ALFKI}/Orders?$skiptoken=2",
                also=("Orders@nextLink",),
                attributes={"count": 42},
            ),
        ),
        embedded={"Orders": [None, None]},
    ),
    Example(
        section="8.6, Collection ETag",
        url=AT,
        data={
            "@context": f"{METADATA}#Orders/$entity",
            "@id": "Orders(1234)",
            "@etag": 'W/"MjAxMy0wNS0yN1QxMTo1OFo="',
            "ID": 1234,
            "Items@etag": 'W/"MjAxOS0wMy0xMlQxMDoyMlo="',
        },
        links=(
            link("self", f"{SERVICE}/Orders(1234)", also=("@id",)),
            link("edit", f"{SERVICE}/Orders(1234)"),
        ),
        etag='W/"MjAxMy0wNS0yN1QxMTo1OFo="',
    ),
    Example(
        section="9, Stream Property",
        url=AT,
        data={
            "@context": f"{METADATA}#Products/$entity",
            "Thumbnail@mediaReadLink": "http://server/Thumbnail546.jpg",
            "Thumbnail@mediaEditLink": "http://server/uploads/Thumbnail546.jpg",
            "Thumbnail@mediaContentType": "image/jpeg",
            "Thumbnail@mediaEtag": 'W/"####"',
            "Thumbnail": "...base64url encoded value...",
        },
        links=(
            link(
                "Thumbnail",
                "http://server/Thumbnail546.jpg",
                also=("Thumbnail@mediaReadLink",),
                type="image/jpeg",
                attributes={"etag": 'W/"####"'},
            ),
            link(
                "Thumbnail/edit-media",
                "http://server/uploads/Thumbnail546.jpg",
                also=("Thumbnail@mediaEditLink",),
                method="PUT",
                type="image/jpeg",
                sends="image/jpeg",
                attributes={"etag": 'W/"####"'},
            ),
        ),
    ),
    Example(
        section="11, Individual Property: a complex value",
        url=AT,
        data={
            "@context": f"{METADATA}#Model.Address",
            "Street": "12345 Grant Street",
            "City": "Taft",
            "Region": "Ohio",
            "PostalCode": "OH 98052",
            "Country@navigationLink": "Countries('US')",
        },
        links=(link("Country", f"{SERVICE}/Countries('US')", also=("Country@navigationLink",)),),
    ),
    Example(
        section="11, Individual Property: a primitive value",
        url=AT,
        data={"@context": f"{METADATA}#Edm.String", "value": "Pilar Ackerman"},
        links=(),
    ),
    Example(
        section="11, Individual Property: a collection of primitive values",
        url=AT,
        data={
            "@context": f"{METADATA}#Collection(Edm.String)",
            "value": ["small", "medium", "extra large"],
        },
        links=(),
        items=["small", "medium", "extra large"],
    ),
    Example(
        section="13, Collection of Entities",
        url=AT,
        data={
            "@context": f"{METADATA}#Orders",
            "@count": 37,
            "value": [{"ID": 1}, {"ID": 2}, {"ID": 3}],
            "@nextLink": "Orders?$skiptoken=342r89",
        },
        links=(link("next", f"{SERVICE}/Orders?$skiptoken=342r89", also=("@nextLink",)),),
        embedded={"item": [None, None, None]},
        items=[{"ID": 1}, {"ID": 2}, {"ID": 3}],
    ),
    Example(
        section="14, Entity Reference",
        url=AT,
        data={"@context": f"{METADATA}#$ref", "@id": "Orders(10643)"},
        links=(
            link("self", f"{SERVICE}/Orders(10643)", also=("@id",)),
            link("edit", f"{SERVICE}/Orders(10643)"),
        ),
    ),
    Example(
        section="14, Entity References",
        url=AT,
        data={
            "@context": f"{METADATA}#Collection($ref)",
            "value": [{"@id": "Orders(10643)"}, {"@id": "Orders(10759)"}],
        },
        links=(
            link("item", f"{SERVICE}/Orders(10643)"),
            link("item", f"{SERVICE}/Orders(10759)"),
        ),
        items=[{"@id": "Orders(10643)"}, {"@id": "Orders(10759)"}],
    ),
    Example(
        section="15.1, Delta Responses (4.01)",
        url=AT,
        data={
            "@context": f"{METADATA}#Customers/$delta",
            "@count": 3,
            "value": [
                {"@id": "Customers('BOTTM')", "ContactName": "Susan Halvenstern"},
                {"@removed": {"reason": "deleted"}, "@id": "Customers('ANTON')"},
                {"@id": "Customers('ALFKI')", "ContactName": "Blake Smithe"},
            ],
            "@deltaLink": "Customers?$deltatoken=8015",
        },
        links=(
            link("delta", f"{SERVICE}/Customers?$deltatoken=8015", also=("@deltaLink",)),
            link(
                "item",
                f"{SERVICE}/Customers('BOTTM')",
                data={"@id": "Customers('BOTTM')", "ContactName": "Susan Halvenstern"},
            ),
            link(
                "item",
                ALFKI,
                data={"@id": "Customers('ALFKI')", "ContactName": "Blake Smithe"},
            ),
        ),
        embedded={"item": [f"{SERVICE}/Customers('BOTTM')", ALFKI]},
        items=[
            {"@id": "Customers('BOTTM')", "ContactName": "Susan Halvenstern"},
            {"@removed": {"reason": "deleted"}, "@id": "Customers('ANTON')"},
            {"@id": "Customers('ALFKI')", "ContactName": "Blake Smithe"},
        ],
    ),
    Example(
        section="15, Delta Payload (4.0)",
        url=AT,
        data={
            "@odata.context": f"{METADATA}#Customers/$delta",
            "@odata.count": 5,
            "value": [
                {
                    "@odata.context": "#Customers/$deletedLink",
                    "source": "Customers('ALFKI')",
                    "relationship": "Orders",
                    "target": "Orders(10643)",
                },
                {
                    "@odata.context": "#Customers/$link",
                    "source": "Customers('BOTTM')",
                    "relationship": "Orders",
                    "target": "Orders(10645)",
                },
                {"@odata.context": "#Orders/$entity", "@odata.id": "Orders(10645)", "ID": 10645},
                {
                    "@odata.context": "#Customers/$deletedEntity",
                    "@odata.id": "Customers('ANTON')",
                },
            ],
            "@odata.deltaLink": "Customers?$expand=Orders&$deltatoken=8016",
        },
        links=(
            link(
                "delta",
                f"{SERVICE}/Customers?$expand=Orders&$deltatoken=8016",
                also=("@odata.deltaLink",),
            ),
            link(
                "item",
                f"{SERVICE}/Orders(10645)",
                data={
                    "@odata.context": "#Orders/$entity",
                    "@odata.id": "Orders(10645)",
                    "ID": 10645,
                },
            ),
        ),
        embedded={"item": [f"{SERVICE}/Orders(10645)"]},
        items=[
            {
                "@odata.context": "#Customers/$deletedLink",
                "source": "Customers('ALFKI')",
                "relationship": "Orders",
                "target": "Orders(10643)",
            },
            {
                "@odata.context": "#Customers/$link",
                "source": "Customers('BOTTM')",
                "relationship": "Orders",
                "target": "Orders(10645)",
            },
            {"@odata.context": "#Orders/$entity", "@odata.id": "Orders(10645)", "ID": 10645},
            {"@odata.context": "#Customers/$deletedEntity", "@odata.id": "Customers('ANTON')"},
        ],
    ),
    Example(
        section="16, Bound Function: minimal, nothing is said of where it is",
        url=AT,
        data={"@context": f"{METADATA}#Employees/$entity", "#Model.RemainingVacation": {}},
        links=(),
    ),
    Example(
        section="16, Bound Function: one whose parameters are named",
        url=AT,
        data={
            "@context": f"{METADATA}#Employees/$entity",
            "#Model.RemainingVacation(Year)": {
                "title": "Remaining vacation from year.",
                "target": "Employees(2)/RemainingVacation(Year=@Year)",
            },
        },
        links=(
            link(
                "Model.RemainingVacation(Year)",
                f"{SERVICE}/Employees(2)/RemainingVacation(Year=@Year)",
                also=("#Model.RemainingVacation(Year)",),
                name="Model.RemainingVacation",
                title="Remaining vacation from year.",
                fields=(Field("@Year"),),
            ),
        ),
    ),
    Example(
        section="16, Bound Function: of a collection",
        url=AT,
        data={
            "@context": f"{METADATA}#Employees",
            "#Model.RemainingVacation": {
                "title": "Remaining Vacation",
                "target": "Managers(22)/Employees/RemainingVacation",
            },
            "value": [],
        },
        links=(
            link(
                "Model.RemainingVacation",
                f"{SERVICE}/Managers(22)/Employees/RemainingVacation",
                also=("#Model.RemainingVacation",),
                name="Model.RemainingVacation",
                title="Remaining Vacation",
                **POST,
            ),
        ),
        items=[],
    ),
    Example(
        section="17, Bound Action: in an entity",
        url=AT,
        data={
            "@context": f"{METADATA}#LeaveRequests/$entity",
            "#Model.Approve": {
                "title": "Approve Leave Request",
                "target": "LeaveRequests(2)/Approve",
            },
        },
        links=(
            link(
                "Model.Approve",
                f"{SERVICE}/LeaveRequests(2)/Approve",
                also=("#Model.Approve",),
                name="Model.Approve",
                title="Approve Leave Request",
                **POST,
            ),
        ),
    ),
    Example(
        section="17, Bound Action: of a nested collection",
        url=AT,
        data={
            "@context": f"{METADATA}#Employees/$entity",
            "@type": "Model.Manager",
            "ID": 22,
            "LeaveRequests#Model.Approve": {
                "title": "Approve All Leave Requests",
                "target": "Employees(22)/Model.Manager/LeaveRequests/Approve",
            },
        },
        links=(
            link(
                "LeaveRequests#Model.Approve",
                f"{SERVICE}/Employees(22)/Model.Manager/LeaveRequests/Approve",
                name="LeaveRequests#Model.Approve",
                title="Approve All Leave Requests",
                **POST,
            ),
        ),
    ),
)
"""As the specification writes them."""

ORDER: Final[dict[str, Any]] = {"@odata.id": "Orders(1)", "ID": 1}
CUSTOMER: Final[dict[str, Any]] = {
    "@odata.context": "http://other/service/$metadata#Customers/$entity",
    "@odata.readLink": "Customers(7)",
    "Name": "Seven",
}

RULES: Final = (
    Example(
        section="4.3: without a context URL, relative to where the document was found",
        url=f"{SERVICE}/Orders?$top=2",
        data={
            "value": [{"@id": "Orders(1)", "@type": "#Model.Order"}, {"@id": "/service/Orders(2)"}],
            "@nextLink": "?$skip=2",
        },
        links=(
            link("next", f"{SERVICE}/Orders?$skip=2", also=("@nextLink",)),
            link("item", f"{SERVICE}/Orders(1)"),
            link("item", f"{SERVICE}/Orders(2)"),
        ),
        items=[{"@id": "Orders(1)", "@type": "#Model.Order"}, {"@id": "/service/Orders(2)"}],
    ),
    Example(
        section="4.3: a relative context URL, and others within, relative to those around them",
        url="https://front.example/api/Orders(1)",
        data={
            "@odata.context": "../v2/$metadata#Orders/$entity",
            "@odata.id": "Orders(1)",
            "Customer": CUSTOMER,
            "Parts": [
                {"@odata.context": "sub/$metadata#Parts/$entity", "@odata.id": "Parts(1)"},
                {"@odata.id": "Parts(2)"},
            ],
        },
        links=(
            link("self", "https://front.example/v2/Orders(1)", also=("@odata.id",)),
            link("edit", "https://front.example/v2/Orders(1)"),
            link("Customer", "http://other/service/Customers(7)", data=CUSTOMER),
            link("Parts", "https://front.example/v2/sub/Parts(1)"),
            link("Parts", "https://front.example/v2/Parts(2)"),
        ),
        embedded={"Customer": ["http://other/service/Customers(7)"]},
    ),
    Example(
        section="4.3: a context URL that is none counts for nothing",
        url=f"{SERVICE}/Orders",
        data={"@odata.context": "http://[", "@odata.nextLink": "Orders?$skip=1", "value": []},
        links=(link("next", f"{SERVICE}/Orders?$skip=1", also=("@odata.nextLink",)),),
        items=[],
    ),
    Example(
        section="4.5.8: an entity that is nowhere; links that are no text",
        url=AT,
        data={
            "@odata.context": f"{METADATA}#Orders/$entity",
            "@odata.id": None,
            "@odata.editLink": 7,
            "Items@odata.navigationLink": ["Items"],
            "#Model.Approve": None,
            "#Model.Reject": "no object",
        },
        links=(),
    ),
    Example(
        section="4.5.9: a read link, an edit link and an id that differ",
        url=AT,
        data={
            "@odata.context": f"{METADATA}#Orders/$entity",
            "@odata.id": "Orders(1)",
            "@odata.readLink": "Orders(1)/read",
            "@odata.editLink": "Orders(1)/edit",
        },
        links=(
            link("self", f"{SERVICE}/Orders(1)/read", also=("@odata.readLink",)),
            link("edit", f"{SERVICE}/Orders(1)/edit", also=("@odata.editLink",)),
        ),
    ),
    Example(
        section="4.5.9: a read link alone: it can't be edited",
        url=AT,
        data={"@context": f"{METADATA}#Orders/$entity", "@id": "x", "@readLink": "Orders(1)"},
        links=(link("self", f"{SERVICE}/Orders(1)", also=("@readLink",)),),
    ),
    Example(
        section="4.5.12: a media entity that is read where it is written, of unknown type",
        url=AT,
        data={
            "@odata.context": f"{METADATA}#Employees/$entity",
            "@odata.mediaEditLink": "Employees(1)/$value",
            "@odata.mediaContentType": None,
            "@odata.mediaEtag": '"1"',
        },
        links=(
            link("media", f"{SERVICE}/Employees(1)/$value", attributes={"etag": '"1"'}),
            link(
                "edit-media",
                f"{SERVICE}/Employees(1)/$value",
                also=("@odata.mediaEditLink",),
                method="PUT",
                sends="application/octet-stream",
                attributes={"etag": '"1"'},
            ),
        ),
    ),
    Example(
        section="8.3: expanded ones, by what they say, by what is said of them, by the context URL",
        url=AT,
        data={
            "@context": f"{METADATA}#Customers(Name,Address/City,Rival+(Name),Boss())/$entity",
            "Name": "Alfreds",
            "Address": {"City": "Berlin"},
            "Rival": {"Name": "Berglunds"},
            "Boss": None,
            "Orders@navigationLink": "Customers('ALFKI')/Orders",
            "Orders": [{"ID": 1}],
            "Contact@navigationLink": "Customers('ALFKI')/Contact",
            "Contact": {"Name": "Maria"},
            "Invoices": [{"@id": "Invoices(1)", "Sum": 3}, {"@id": "Invoices(2)"}, {"Sum": 1}],
            "Tags": [{"Name": "no entity"}],
            "Photo": {"@mediaReadLink": "Photos(1)/$value", "Name": "p"},
            "Icon": {"@mediaEditLink": "Icons(1)/$value", "Name": "i"},
            "Past@associationLink": "Customers('ALFKI')/Past/$ref",
            "Past": [{"ID": 2}],
            "Twins@context": "#Customers",
            "Twins": [{"ID": 3}],
        },
        links=(
            link("Orders", f"{ALFKI}/Orders", also=("Orders@navigationLink",)),
            link(
                "Contact",
                f"{ALFKI}/Contact",
                also=("Contact@navigationLink",),
                data={"Name": "Maria"},
            ),
            link(
                "Invoices",
                f"{SERVICE}/Invoices(1)",
                data={"@id": "Invoices(1)", "Sum": 3},
            ),
            link("Invoices", f"{SERVICE}/Invoices(2)"),
            link("Past/$ref", f"{ALFKI}/Past/$ref", also=("Past@associationLink",)),
        ),
        embedded={
            "Rival": [None],
            "Orders": [None],
            # What the link of one leads to is that one.
            "Contact": [f"{ALFKI}/Contact"],
            "Invoices": [f"{SERVICE}/Invoices(1)", None],
            "Photo": [None],
            "Icon": [None],
            "Past": [None],
            "Twins": [None],
        },
    ),
    Example(
        section="8.1: navigation links in a collection of complex values, and an operation in one",
        url=AT,
        data={
            "@odata.context": f"{METADATA}#Customers/$entity",
            "Addresses": [
                {"Country@odata.navigationLink": "Countries('DE')"},
                {
                    "Country@odata.navigationLink": "Countries('FR')",
                    "#Model.Check": {"target": "Check"},
                },
            ],
        },
        links=(
            link(
                "Addresses/Country",
                f"{SERVICE}/Countries('DE')",
                also=("Addresses/Country@odata.navigationLink",),
            ),
            link(
                "Addresses/Model.Check",
                f"{SERVICE}/Check",
                also=("Addresses/#Model.Check",),
                name="Addresses/Model.Check",
                **POST,
            ),
            link(
                "Addresses/Country",
                f"{SERVICE}/Countries('FR')",
                also=("Addresses/Country@odata.navigationLink",),
            ),
        ),
    ),
    Example(
        section="8.3, 8.6: what more is said of a property; 15: its delta link",
        url=AT,
        data={
            "@odata.context": f"{METADATA}#Customers/$entity",
            "Orders@odata.navigationLink": "Orders",
            "Orders@odata.count": 3,
            "Orders@odata.etag": '"1"',
            "Orders@odata.type": "#Collection(Model.Order)",
            "Orders@odata.deltaLink": "Orders?$deltatoken=1",
            "Orders@Core.Links@odata.nextLink": "nobody's",
        },
        links=(
            link(
                "Orders",
                f"{SERVICE}/Orders",
                also=("Orders@odata.navigationLink",),
                attributes={"count": 3, "etag": '"1"', "type": "#Collection(Model.Order)"},
            ),
            link(
                "Orders/delta",
                f"{SERVICE}/Orders?$deltatoken=1",
                also=("Orders@odata.deltaLink",),
                attributes={"count": 3, "etag": '"1"', "type": "#Collection(Model.Order)"},
            ),
        ),
    ),
    Example(
        section="9: streams and collections within complex values; a type that is no text",
        url=AT,
        data={
            "@odata.context": f"{METADATA}#Customers/$entity",
            "Card": {
                "Photo@odata.mediaReadLink": "Photo",
                "Photo@odata.mediaEditLink": "Photo/edit",
                "Photo@odata.mediaContentType": 7,
                "Notes": ["one"],
                "Notes@odata.nextLink": "Notes?$skip=1",
                "Notes@odata.deltaLink": "Notes?$deltatoken=1",
            },
        },
        links=(
            link(
                "Card/Photo",
                f"{SERVICE}/Photo",
                also=("Card/Photo@odata.mediaReadLink",),
            ),
            link(
                "Card/Photo/edit-media",
                f"{SERVICE}/Photo/edit",
                also=("Card/Photo@odata.mediaEditLink",),
                method="PUT",
                sends="application/octet-stream",
            ),
            link(
                "Card/Notes/next",
                f"{SERVICE}/Notes?$skip=1",
                also=("Card/Notes@odata.nextLink",),
            ),
            link(
                "Card/Notes/delta",
                f"{SERVICE}/Notes?$deltatoken=1",
                also=("Card/Notes@odata.deltaLink",),
            ),
        ),
    ),
    Example(
        section="5: what in a service document is odd",
        url=AT,
        data={
            "@context": METADATA,
            "value": [{"name": "A"}, {"url": "A"}, {"name": 1, "url": "A"}, "A", {}],
        },
        links=(),
        items=[{"name": "A"}, {"url": "A"}, {"name": 1, "url": "A"}, "A", {}],
    ),
    Example(
        section="5: a single value whose context is the model's",
        url=AT,
        data={"@context": METADATA, "value": {"name": "A", "url": "A"}},
        links=(),
    ),
    Example(
        section="13: entities that say where they are; an annotation is nobody's",
        url=AT,
        data={
            "@odata.context": f"{METADATA}#Orders",
            "@odata.readLink": "Orders",
            "@Core.Permissions@odata.type": "#x",
            "value": [ORDER, {"@odata.editLink": "Orders(2)", "ID": 2}, {"ID": 3}, None, "odd"],
        },
        links=(
            link("self", f"{SERVICE}/Orders", also=("@odata.readLink",)),
            link("item", f"{SERVICE}/Orders(1)", data=ORDER),
            link(
                "item",
                f"{SERVICE}/Orders(2)",
                data={"@odata.editLink": "Orders(2)", "ID": 2},
            ),
        ),
        embedded={"item": [f"{SERVICE}/Orders(1)", f"{SERVICE}/Orders(2)", None]},
        items=[ORDER, {"@odata.editLink": "Orders(2)", "ID": 2}, {"ID": 3}, None, "odd"],
    ),
    Example(
        section="13: an entity with a property that is called value is no collection",
        url=AT,
        data={
            "@odata.context": f"{METADATA}#Scales/$entity",
            "value": [{"@odata.id": "Marks(1)"}],
            "Inner": {"value": [{"@odata.id": "Marks(2)"}]},
        },
        links=(
            link("value", f"{SERVICE}/Marks(1)"),
            link("Inner/value", f"{SERVICE}/Marks(2)"),
        ),
    ),
    Example(
        section="17: an action with annotations, and names of parameters in a function",
        url=AT,
        data={
            "@odata.context": f"{METADATA}#Employees/$entity",
            "#Model.Fire": {"target": "Fire", "@Core.Description": "Careful"},
            "#Model.Between(From,To)": {"target": "Between(From=@From,To=@To)"},
        },
        links=(
            link(
                "Model.Fire",
                f"{SERVICE}/Fire",
                also=("#Model.Fire",),
                name="Model.Fire",
                attributes={"@Core.Description": "Careful"},
                **POST,
            ),
            link(
                "Model.Between(From,To)",
                f"{SERVICE}/Between(From=@From,To=@To)",
                also=("#Model.Between(From,To)",),
                name="Model.Between",
                fields=(Field("@From"), Field("@To")),
            ),
        ),
    ),
)
"""What the rules say of documents of ours."""
