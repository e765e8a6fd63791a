"""The table of who may call what: every address of the server, by view and method; what is not here is refused.

Rules are found by the exact route first, then by a family of routes, then by the view. A test walks Django's whole URL
table and fails for a route without a rule, and for a rule without a route.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType


class Who(IntEnum):
    """The least that somebody has to be."""

    ANYBODY = 0  # also without signing in
    PERSON = 1  # signed in and a member of the organisation
    WORKER = 2  # works in the project, or manages it
    LEADER = 3  # manages something, whatever it is: for what is nobody's in particular
    MANAGER = 4  # manages the project; without one, every campaign of the server
    OWNER = 5  # of the server
    NOBODY = 6  # switched off


@dataclass(frozen=True, slots=True)
class Rule:
    """What a view asks of its caller.

    Attributes:
        methods: HTTP method → who may; HEAD goes by GET, OPTIONS tells nobody anything.
        project: where the project is named, parted by ``|``; whatever is there must name the same one, also a
            ``project`` or ``view`` in query and body. ``pk``, ``project_id``: in the path. ``<kind>:<name>``: by a
            thing in the path, of the kinds of :data:`gate.KINDS`. ``names:<key>:<kind>``: by a thing in
            query or body. ``entity``: by a kind and an id in the path. ``query``: nowhere else. Nothing: no project.
        rows: whether the body holds rows, whose columns may bear any name.
        check: further checks before the view runs, by name in :mod:`ls_plugin.access.checks`.
        show: what an ordinary person is shown of the answer, by name in :mod:`response_filters`; ``plain`` passes it as
            is, and an answer without one is never passed to an ordinary person.
        manager_check: checks for managers too, on projects of a campaign.
        at_work: where whoever manages and also works in a campaign is at work, and so shown what an ordinary person is.
            ``queue``: always; ``action``: asking for the next task; ``task``: on a task that they have in hand.
    """

    methods: Mapping[str, Who]
    project: str = ""
    rows: bool = False
    check: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    show: str = ""
    manager_check: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    at_work: str = ""

    def who(self, method: str) -> Who:
        """Who may call the view by this method; a method that is not named is nobody's."""
        if method == "HEAD":
            method = "GET"
        return self.methods.get(method, Who.NOBODY)


_ALL = ("GET", "POST", "PUT", "PATCH", "DELETE")
_READ = ("GET",)


def _rule(
    who: Who,
    methods: tuple[str, ...] = _ALL,
    project: str = "",
    show: str = "",
    *,
    rows: bool = False,
    at_work: str = "",
    **checks: dict[str, str],
) -> Rule:
    return Rule(
        methods=dict.fromkeys(methods, who),
        project=project,
        rows=rows,
        show=show,
        check=checks.get("check", {}),
        manager_check=checks.get("manager_check", {}),
        at_work=at_work,
    )


_ANYBODY = _rule(Who.ANYBODY, show="plain")
_FILES = _rule(Who.ANYBODY, _READ, show="plain")
_SELF = _rule(Who.PERSON, show="plain")
_LEADER = _rule(Who.LEADER)
_MANAGER = _rule(Who.MANAGER)
_MANAGER_PK = _rule(Who.MANAGER, project="pk")
_ROWS = _rule(Who.MANAGER, project="pk", rows=True, manager_check={"POST": "no_answers"})
_OWNER = _rule(Who.OWNER)
_NOBODY = _rule(Who.NOBODY)
# Endpoints that name a campaign: only a manager of it gets further, which the view checks by its name.
_CAMPAIGN = _rule(Who.LEADER)
_STORAGE = _rule(Who.MANAGER, project="query")
# What sends answers out of the server: whoever works in the campaign could read them there before giving their own.
_OUTLET = dict.fromkeys(("POST", "PUT", "PATCH"), "no_outlet")
_STORAGES = (
    ("S3", "s3", "s3"),
    ("AzureBlob", "azure_blob", "azure"),
    ("GCS", "gcs", "gcs"),
    ("Redis", "redis", "redis"),
    ("LocalFiles", "localfiles", "localfiles"),
)


# Exact routes whose view serves several addresses.
ROUTES: dict[str, Rule] = {
    r"^favicon\.ico$": _FILES,
    "docs/": _LEADER,
    "docs/api/": _LEADER,
    r"^swagger\.json$": _LEADER,
    r"^swagger\.yaml$": _LEADER,
    "^swagger/$": _LEADER,
    "^data/local-files/": _MANAGER,  # one function for files of every project
    "^projects/<int:pk>/": _rule(Who.WORKER, _READ, "pk", "plain"),
    "^projects/<int:pk>/data/": _rule(Who.WORKER, _READ, "pk", "plain"),
    "^projects/<int:pk>/data/import": _rule(Who.MANAGER, _READ, "pk"),
    "^projects/<int:pk>/data/export": _rule(Who.MANAGER, _READ, "pk"),
    **{
        f"^api/storages/{path}/files": _rule(Who.MANAGER, project=f"query|names:id:{folder}.{cloud}ImportStorage")
        for cloud, folder, path in _STORAGES
    },
}

# Families of routes that stand or fall together.
FAMILIES: dict[str, Rule] = {
    "admin/": _OWNER,
    "django-rq/": _OWNER,
}

VIEWS: dict[str, Rule] = {
    # Pages and their files
    "core.views.main": _ANYBODY,
    "core.views.static_file_with_host_resolver.<locals>.serve_file": _FILES,
    "core.utils.static_serve.serve": _FILES,
    "django.views.static.serve": _SELF,  # avatars
    "core.views.version_page": _FILES,
    "core.views.health": _FILES,
    "core.views.metrics": _FILES,
    "core.views.TriggerAPIError": _NOBODY,
    "core.views.samples_time_series": _LEADER,
    "core.views.samples_paragraphs": _LEADER,
    "core.views.feature_flags": _LEADER,
    "core.views.heidi_tips": _NOBODY,  # asks a server outside
    "core.views.collect_metrics": _NOBODY,  # telemetry
    "drf_spectacular.views.SpectacularAPIView": _LEADER,
    "drf_spectacular.views.SpectacularSwaggerView": _LEADER,
    "drf_spectacular.views.SpectacularRedocView": _LEADER,
    "drf_spectacular.views.SpectacularJSONAPIView": _LEADER,
    "drf_spectacular.views.SpectacularYAMLAPIView": _LEADER,
    "rest_framework.routers.APIRootView": _LEADER,
    "django.contrib.auth.views.LoginView": _NOBODY,  # a second door beside /user/login/
    "django.contrib.auth.views.LogoutView": _SELF,
    # Accounts
    "users.views.user_login": _ANYBODY,
    "users.views.user_signup": _ANYBODY,
    "users.views.logout": _ANYBODY,
    "users.views.user_account": _rule(Who.PERSON, ("GET", "POST"), show="plain"),
    "users.api.UserAPI": Rule(
        methods={"GET": Who.PERSON, "POST": Who.PERSON, "PATCH": Who.PERSON, "DELETE": Who.PERSON},
        check={"GET": "own_account", "POST": "own_avatar", "PATCH": "own_account", "DELETE": "own_avatar"},
        manager_check={"POST": "avatar", "PATCH": "own_account", "DELETE": "not_last_manager"},
        show="users",
    ),
    "users.api.UserResetTokenAPI": _SELF,
    "users.api.UserGetTokenAPI": _SELF,
    "users.api.UserWhoAmIAPI": _rule(Who.PERSON, _READ, show="whoami"),
    "users.api.UserHotkeysAPI": _SELF,
    "users.product_tours.api.ProductTourAPI": _SELF,
    "jwt_auth.views.JWTSettingsAPI": Rule(methods={"GET": Who.PERSON, "POST": Who.OWNER}, show="plain"),
    "jwt_auth.views.LSAPITokenView": _SELF,
    "jwt_auth.views.DecoratedTokenRefreshView": _ANYBODY,
    "jwt_auth.views.LSTokenBlacklistView": _SELF,
    "jwt_auth.views.LSAPITokenRotateView": _SELF,
    "session_policy.api.SessionTimeoutPolicyView": _MANAGER,
    # Organisation
    "organizations.views.simple_view": _MANAGER,
    "organizations.views.organization_people_list": _MANAGER,
    "organizations.api.OrganizationListAPI": _MANAGER,
    "organizations.api.OrganizationAPI": _MANAGER,
    "organizations.api.OrganizationMemberListAPI": _MANAGER,
    "organizations.api.OrganizationMemberDetailAPI": _rule(
        Who.MANAGER, manager_check={"DELETE": "not_last_manager_member"}
    ),
    "organizations.api.OrganizationInviteAPI": _MANAGER,
    "organizations.api.OrganizationResetTokenAPI": _MANAGER,
    # Projects
    "projects.views.project_list": _rule(Who.PERSON, _READ, show="plain"),
    "projects.views.project_settings": _MANAGER_PK,
    "data_manager.views.task_page": _rule(Who.WORKER, _READ, "pk", "plain"),
    "projects.api.ProjectListAPI": Rule(methods={"GET": Who.PERSON, "POST": Who.LEADER}, show="project_list"),
    "projects.api.ProjectCountsListAPI": _rule(Who.PERSON, _READ, show="count_list"),
    "projects.api.ProjectAPI": Rule(
        methods={"GET": Who.WORKER, "PUT": Who.MANAGER, "PATCH": Who.MANAGER, "DELETE": Who.MANAGER},
        project="pk",
        show="project",
        manager_check={"PUT": "project_change", "PATCH": "project_change"},
    ),
    "projects.api.ProjectNextTaskAPI": _rule(Who.WORKER, _READ, "pk", "task", at_work="queue"),
    "projects.api.LabelStreamHistoryAPI": _rule(Who.WORKER, _READ, "pk", "plain"),
    "projects.api.LabelConfigValidateAPI": _LEADER,
    "projects.api.ProjectLabelConfigValidateAPI": _MANAGER_PK,
    "projects.api.ProjectSummaryAPI": _MANAGER_PK,
    "projects.api.ProjectSummaryResetAPI": _MANAGER_PK,
    "projects.api.ProjectImportAPI": _MANAGER_PK,
    "projects.api.ProjectReimportAPI": _MANAGER_PK,
    "projects.api.ProjectTaskListAPI": _ROWS,
    "projects.api.ProjectSampleTask": _MANAGER_PK,
    "projects.api.ProjectModelVersions": _MANAGER_PK,
    "projects.api.ProjectAnnotatorsAPI": _MANAGER_PK,
    "projects.api.TemplateListAPI": _LEADER,
    # Data in
    "data_import.api.FileUploadAPI": _rule(Who.MANAGER, project="upload:pk"),
    "data_import.api.FileUploadListAPI": _MANAGER_PK,
    "data_import.api.TasksBulkCreateAPI": _ROWS,
    "data_import.api.ImportAPI": _ROWS,
    "data_import.api.ImportPredictionsAPI": _rule(Who.MANAGER, project="pk", rows=True),
    "data_import.api.ReImportAPI": _rule(Who.MANAGER, project="pk", manager_check={"POST": "no_reimport"}),
    "data_import.api.UploadedFileResponse": _rule(
        Who.WORKER, _READ, "file:filename", "plain", check={"GET": "own_upload"}
    ),
    "data_import.api.DownloadStorageData": _MANAGER,
    # Data manager
    "data_manager.api.ViewAPI": Rule(
        methods={
            "GET": Who.WORKER,
            "POST": Who.MANAGER,
            "PUT": Who.MANAGER,
            "PATCH": Who.WORKER,
            "DELETE": Who.MANAGER,
        },
        project="query|view:pk",
        show="plain",  # Label Studio's own tabs never come here: hooks answer for people
    ),
    "data_manager.api.ProjectColumnsAPI": _rule(Who.WORKER, _READ, "query", "columns"),
    "data_manager.api.ProjectStateAPI": _rule(Who.WORKER, _READ, "query", "project"),
    "data_manager.api.ProjectActionsAPI": Rule(
        methods={"GET": Who.WORKER, "POST": Who.WORKER},
        project="query",
        check={"POST": "next_action"},
        manager_check={"POST": "manager_action"},
        show="action",
        at_work="action",
    ),
    "data_manager.api.ProjectActionsFormAPI": _rule(Who.MANAGER, _READ, "query"),
    # Data out
    "data_export.api.ExportAPI": _MANAGER_PK,
    "data_export.api.ExportFormatsListAPI": _MANAGER_PK,
    "data_export.api.ProjectExportFiles": _MANAGER_PK,
    "data_export.api.ExportListAPI": _MANAGER_PK,
    "data_export.api.ExportDetailAPI": _MANAGER_PK,
    "data_export.api.ExportDownloadAPI": _MANAGER_PK,
    "data_export.api.ExportConvertAPI": _MANAGER_PK,
    "data_export.api.ProjectExportFilesAuthCheck": _rule(Who.MANAGER, _READ, manager_check={"GET": "behind_a_proxy"}),
    # Tasks, answers, drafts, predictions
    "tasks.api.TaskListAPI": Rule(
        methods={"GET": Who.WORKER, "POST": Who.MANAGER},
        project="query",
        show="task_list",
        manager_check={"POST": "no_answers"},
    ),
    "tasks.api.TaskAPI": Rule(
        methods={"GET": Who.WORKER, "PUT": Who.MANAGER, "PATCH": Who.MANAGER, "DELETE": Who.MANAGER},
        project="task:pk",
        check={"GET": "own_task"},
        show="task",
        at_work="task",
    ),
    "tasks.api.AnnotationsListAPI": Rule(
        methods={"GET": Who.WORKER, "POST": Who.WORKER},
        project="task:pk",
        check={"GET": "own_task", "POST": "submission"},
        manager_check={"POST": "submission"},
        show="annotation_list",
        at_work="task",
    ),
    "tasks.api.AnnotationDraftListAPI": Rule(
        methods={"GET": Who.WORKER, "POST": Who.WORKER},
        project="task:pk",
        check={"GET": "own_task", "POST": "new_draft"},
        manager_check={"POST": "new_draft"},
        show="draft_list",
        at_work="task",
    ),
    "tasks.api.TaskAgreementAPI": _rule(Who.MANAGER, _READ, "task:pk"),
    "tasks.api.AnnotationAPI": Rule(
        methods={"GET": Who.WORKER, "PUT": Who.WORKER, "PATCH": Who.WORKER, "DELETE": Who.WORKER},
        project="annotation:pk",
        check={"GET": "own_annotation", "PUT": "change", "PATCH": "change", "DELETE": "keep_answer"},
        manager_check={"PUT": "change", "PATCH": "change", "DELETE": "keep_answer"},
        show="annotation_list",
    ),
    "tasks.api.AnnotationConvertAPI": Rule(
        methods={"POST": Who.WORKER},
        project="annotation:pk",
        check={"POST": "take_back_skip"},
        manager_check={"POST": "take_back_skip"},
        show="draft_list",
    ),
    "tasks.api.AnnotationDraftAPI": Rule(
        methods=dict.fromkeys(("GET", "PUT", "PATCH", "DELETE"), Who.WORKER),
        project="draft:pk",
        check=dict.fromkeys(("GET", "PUT", "PATCH", "DELETE"), "own_draft"),
        manager_check=dict.fromkeys(("PUT", "PATCH", "DELETE"), "own_draft"),
        show="draft_list",
    ),
    "tasks.api.PredictionAPI": _rule(Who.MANAGER, project="query|prediction:pk|names:task:task"),
    # Storages, models, webhooks, labels, states
    "io_storages.all_api.AllImportStorageListAPI": _STORAGE,
    "io_storages.all_api.AllExportStorageListAPI": _STORAGE,
    "io_storages.all_api.AllImportStorageTypesAPI": _LEADER,
    "io_storages.all_api.AllExportStorageTypesAPI": _LEADER,
    "io_storages.proxy_api.TaskResolveStorageUri": _rule(
        Who.WORKER, _READ, "task:task_id", "plain", check={"GET": "own_file"}
    ),
    "io_storages.proxy_api.ProjectResolveStorageUri": _rule(Who.MANAGER, _READ, "project_id"),
    "ml.api.MLBackendListAPI": Rule(
        methods={"GET": Who.WORKER, "POST": Who.MANAGER},  # the labelling screen asks; people get an empty list
        project="query",
        show="nothing",
    ),
    "ml.api.MLBackendDetailAPI": _rule(Who.MANAGER, project="ml:pk"),
    "ml.api.MLBackendTrainAPI": _rule(Who.MANAGER, project="ml:pk", manager_check=_OUTLET),
    "ml.api.MLBackendPredictTestAPI": _rule(Who.MANAGER, project="ml:pk"),
    "ml.api.MLBackendInteractiveAnnotating": _rule(Who.MANAGER, project="ml:pk"),
    "ml.api.MLBackendVersionsAPI": _rule(Who.MANAGER, project="ml:pk"),
    "webhooks.api.WebhookListAPI": _rule(Who.MANAGER, project="query", manager_check=_OUTLET),
    "webhooks.api.WebhookAPI": _rule(Who.MANAGER, project="webhook:pk", manager_check=_OUTLET),
    "webhooks.api.WebhookInfoAPI": _LEADER,
    "labels_manager.api.LabelAPI": _MANAGER,
    "labels_manager.api.LabelLinkAPI": Rule(
        methods={"GET": Who.WORKER} | dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), Who.MANAGER),
        project="query|link:pk",
        show="nothing",
    ),
    "labels_manager.api.LabelBulkUpdateAPI": _rule(
        Who.MANAGER, project="query", manager_check={"POST": "no_bulk_labels"}
    ),
    "fsm.api.FSMEntityHistoryAPI": _rule(Who.MANAGER, project="entity"),
    "fsm.api.FSMEntityTransitionAPI": _rule(Who.MANAGER, project="entity"),
    # Quorum's own
    "ls_plugin.pages.api.VersionView": _rule(Who.PERSON, _READ, show="plain"),
    "ls_plugin.pages.api.CampaignView": _CAMPAIGN,
    "ls_plugin.pages.api.TeamView": _CAMPAIGN,
    "ls_plugin.pages.api.StatusView": _CAMPAIGN,
    "ls_plugin.pages.api.AuditView": _CAMPAIGN,
    "ls_plugin.pages.api.ReopenView": _CAMPAIGN,
    "ls_plugin.pages.api.RepairView": _CAMPAIGN,
    "ls_plugin.pages.task_stream.TasksView": _rule(Who.MANAGER, _READ, project="query"),
    "ls_plugin.pages.screens.campaigns": _rule(Who.PERSON, _READ, show="plain"),
    "ls_plugin.pages.screens.campaign": _rule(
        Who.PERSON, ("GET", "POST"), show="plain"
    ),  # it checks the campaign itself
    "ls_plugin.pages.screens.mine": _rule(Who.PERSON, _READ, show="plain"),
    "ls_plugin.pages.screens.style": _ANYBODY,
    "ls_plugin.pages.screens.no_tips": _ANYBODY,
    "ls_plugin.pages.screens.no_telemetry": _ANYBODY,
}

for _cloud, _folder, _ in _STORAGES:
    for _way in ("Import", "Export"):
        # A storage belongs to its own project, whatever project the query names.
        _kind = f"{_folder}.{_cloud}{_way}Storage"
        _api = f"io_storages.{_folder}.api.{_cloud}{_way}Storage"
        _out = _OUTLET if _way == "Export" else {}
        VIEWS |= {
            f"{_api}ListAPI": _rule(Who.MANAGER, project="query", manager_check=_out),
            f"{_api}FormLayoutAPI": _LEADER,
            f"{_api}ValidateAPI": _rule(Who.MANAGER, project=f"query|names:id:{_kind}"),
            **{
                f"{_api}{what}API": _rule(Who.MANAGER, project=f"query|{_kind}:pk", manager_check=_out)
                for what in ("Detail", "Sync")
            },
        }


def find(route: str, view: str) -> Rule | None:
    """The rule for a route and its view, None if nobody stated one."""
    if route in ROUTES:
        return ROUTES[route]
    for family, rule in FAMILIES.items():
        if route.startswith(family):
            return rule
    return VIEWS.get(view)
